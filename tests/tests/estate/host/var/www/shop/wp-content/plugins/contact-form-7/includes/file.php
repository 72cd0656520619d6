<?php
// no plugin of its own
