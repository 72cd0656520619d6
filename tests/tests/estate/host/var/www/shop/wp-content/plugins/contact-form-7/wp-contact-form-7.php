<?php
/*
Plugin Name: Contact Form 7
Plugin URI: https://contactform7.com/
Description: Just another contact form plugin.
Author: Takayuki Miyoshi
Version: 6.1.3
Requires at least: 6.7
Requires PHP: 7.4
*/

define( 'WPCF7_VERSION', '6.1.3' );
