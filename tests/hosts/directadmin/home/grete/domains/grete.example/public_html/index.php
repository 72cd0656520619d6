<?php echo "grete";
