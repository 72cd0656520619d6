<?php
/**
 * Plugin Name: Query Monitor
 * Version: 3.20.0
 * Requires at least: 6.1
 * Requires PHP: 7.4
 * License: GPL-2.0-or-later
 */
