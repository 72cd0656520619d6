<?php echo "max";
