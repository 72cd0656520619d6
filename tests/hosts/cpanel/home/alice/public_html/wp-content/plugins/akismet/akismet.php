<?php
/**
 * Plugin Name: Akismet Anti-spam: Spam Protection
 * Version: 5.5
 * Requires at least: 5.8
 * Requires PHP: 7.2
 * License: GPL-2.0-or-later
 */
