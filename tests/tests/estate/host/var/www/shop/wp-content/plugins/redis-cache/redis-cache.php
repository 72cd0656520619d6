<?php
/**
 * Plugin Name: Redis Object Cache
 * Plugin URI: https://redis-cache.example/
 * Description: What the shop needs it for.
 * Version: 2.7.0
 * Requires PHP: 7.2
 * Requires at least: 4.6
 * Author: Somebody
 * License: GPL-2.0-or-later
 * Text Domain: redis-cache
 */

defined( 'ABSPATH' ) || exit;
