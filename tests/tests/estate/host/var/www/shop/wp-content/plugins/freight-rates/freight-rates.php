<?php
/**
 * Plugin Name: Freight Rates
 * Plugin URI: https://freight-rates.example/
 * Description: What the shop needs it for.
 * Version: 2.0.0
 * Requires PHP: 8.3
 * Update URI: https://updates.freight.example/rates
 * Author: Somebody
 * License: GPL-2.0-or-later
 * Text Domain: freight-rates
 */

defined( 'ABSPATH' ) || exit;
