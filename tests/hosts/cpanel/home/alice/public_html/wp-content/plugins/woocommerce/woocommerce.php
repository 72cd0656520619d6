<?php
/**
 * Plugin Name: WooCommerce
 * Version: 10.2.1
 * Requires at least: 6.7
 * Requires PHP: 7.4
 * License: GPL-2.0-or-later
 */
