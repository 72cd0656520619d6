<?php
/**
 * Plugin Name: Wordfence Security
 * Plugin URI: https://wordfence.example/
 * Description: What the shop needs it for.
 * Version: 8.1.0
 * Requires PHP: 7.0
 * Requires at least: 4.7
 * Author: Somebody
 * License: GPL-2.0-or-later
 * Text Domain: wordfence
 */

defined( 'ABSPATH' ) || exit;
