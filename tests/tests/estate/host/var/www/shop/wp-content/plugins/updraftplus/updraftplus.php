<?php
/**
 * Plugin Name: UpdraftPlus - Backup/Restore
 * Plugin URI: https://updraftplus.example/
 * Description: What the shop needs it for.
 * Version: 1.25.9
 * Author: Somebody
 * License: GPL-2.0-or-later
 * Text Domain: updraftplus
 */

defined( 'ABSPATH' ) || exit;
