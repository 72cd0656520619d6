<?php
/**
 * Plugin Name: Elementor
 * Version: 3.33.2
 * Requires at least: 6.6
 * Requires PHP: 7.4
 * License: GPL-2.0-or-later
 */
