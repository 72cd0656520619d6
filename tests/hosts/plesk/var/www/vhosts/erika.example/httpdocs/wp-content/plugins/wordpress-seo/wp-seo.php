<?php
/**
 * Plugin Name: Yoast SEO
 * Version: 26.5
 * Requires at least: 6.7
 * Requires PHP: 7.4
 * License: GPL-2.0-or-later
 */
