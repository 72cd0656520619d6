<?php
/**
 * Plugin Name: LDAP Login
 * Version: 3.1
 * Requires at least: 6.0
 * Requires PHP: 8.1
 * License: GPL-2.0-or-later
 */
