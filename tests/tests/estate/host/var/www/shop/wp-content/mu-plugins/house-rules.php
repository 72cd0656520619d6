<?php
/*
Plugin Name: House Rules
Description: No editor, no XML-RPC.
Version: 1.2
*/
add_filter( 'xmlrpc_enabled', '__return_false' );
