<?php
/**
 * Plugin Name: BuddyPress
 * Version: 14.4.0
 * Requires at least: 6.4
 * Requires PHP: 7.0
 * License: GPL-2.0-or-later
 */
