<?php
/**
 * Plugin Name: Advanced Custom Fields
 * Version: 6.6.2
 * Requires at least: 6.2
 * Requires PHP: 7.4
 * License: GPL-2.0-or-later
 */
