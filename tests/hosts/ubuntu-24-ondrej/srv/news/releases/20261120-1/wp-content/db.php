<?php
/* a drop-in that needs no header */
