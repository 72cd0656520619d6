<?php
echo 'app ', PHP_VERSION;
