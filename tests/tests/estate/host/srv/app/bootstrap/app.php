<?php

return Application::configure(basePath: dirname(__DIR__))->create();
