<?php echo "old ", PHP_VERSION;
