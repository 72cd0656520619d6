<?php
/**
 * Plugin Name: Yoast SEO
 * Plugin URI: https://wordpress-seo.example/
 * Description: What the shop needs it for.
 * Version: 26.5
 * Requires PHP: 7.4
 * Requires at least: 6.7
 * Author: Somebody
 * License: GPL-2.0-or-later
 * Text Domain: wordpress-seo
 */

defined( 'ABSPATH' ) || exit;
