<?php
/**
 * Plugin Name: WP Mail SMTP
 * Version: 4.6.0
 * Requires at least: 5.5
 * Requires PHP: 7.4
 * License: GPL-2.0-or-later
 */
