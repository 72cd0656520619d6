<?php
define( 'DB_NAME', 'wp' );
define( 'DB_PASSWORD', 'secret' );
define( 'WP_DEBUG', false );
$table_prefix = 'wp_';
require_once ABSPATH . 'wp-settings.php';
