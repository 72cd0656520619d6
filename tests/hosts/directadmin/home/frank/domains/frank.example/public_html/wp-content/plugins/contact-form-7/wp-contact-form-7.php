<?php
/**
 * Plugin Name: Contact Form 7
 * Version: 6.1.3
 * Requires at least: 6.7
 * Requires PHP: 7.4
 * License: GPL-2.0-or-later
 */
