<?php

namespace Illuminate\Foundation;

class Application
{
    /**
     * The Laravel framework version.
     *
     * @var string
     */
    const VERSION = '11.45.1';
}
