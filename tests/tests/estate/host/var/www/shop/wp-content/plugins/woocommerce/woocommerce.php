<?php
/**
 * Plugin Name: WooCommerce
 * Plugin URI: https://woocommerce.example/
 * Description: What the shop needs it for.
 * Version: 10.4.2
 * Requires PHP: 7.4
 * Requires at least: 6.8
 * Author: Somebody
 * License: GPL-2.0-or-later
 * Text Domain: woocommerce
 */

defined( 'ABSPATH' ) || exit;
