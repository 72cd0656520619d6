<?php
/**
 * Plugin Name: Elementor
 * Plugin URI: https://elementor.example/
 * Description: What the shop needs it for.
 * Version: 3.33.2
 * Requires PHP: 7.4
 * Requires at least: 6.6
 * Author: Somebody
 * License: GPL-2.0-or-later
 * Text Domain: elementor
 */

defined( 'ABSPATH' ) || exit;
