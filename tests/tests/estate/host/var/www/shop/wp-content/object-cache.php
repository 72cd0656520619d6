<?php
/*
Plugin Name: Redis Object Cache Drop-In
Plugin URI: https://wordpress.org/plugins/redis-cache/
Description: A persistent object cache backend powered by Redis.
Version: 2.7.0
Author: Till Krüss
Requires PHP: 7.2
*/
