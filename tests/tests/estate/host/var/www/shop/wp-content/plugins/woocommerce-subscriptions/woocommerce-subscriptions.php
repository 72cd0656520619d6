<?php
/**
 * Plugin Name: WooCommerce Subscriptions
 * Plugin URI: https://woocommerce-subscriptions.example/
 * Description: What the shop needs it for.
 * Version: 8.1.0
 * Requires PHP: 7.4
 * Requires Plugins: woocommerce
 * Author: Somebody
 * License: GPL-2.0-or-later
 * Text Domain: woocommerce-subscriptions
 */

defined( 'ABSPATH' ) || exit;
