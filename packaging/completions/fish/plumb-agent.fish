# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_plumb_agent_global_optspecs
    string join \n root= h/help V/version
end

function __fish_plumb_agent_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_plumb_agent_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_plumb_agent_using_subcommand
    set -l cmd (__fish_plumb_agent_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c plumb-agent -n "__fish_plumb_agent_needs_command" -l root -d 'The folder that is the host\'s file system root, for images, chroots and fixtures' -r -F
complete -c plumb-agent -n "__fish_plumb_agent_needs_command" -s h -l help -d 'Print help'
complete -c plumb-agent -n "__fish_plumb_agent_needs_command" -s V -l version -d 'Print version'
complete -c plumb-agent -n "__fish_plumb_agent_needs_command" -f -a "run" -d 'Observe and deliver, until stopped'
complete -c plumb-agent -n "__fish_plumb_agent_needs_command" -f -a "once" -d 'Observe once, print, and leave. Needs no collector and no configuration, and writes nothing'
complete -c plumb-agent -n "__fish_plumb_agent_needs_command" -f -a "check" -d 'Show what is discovered, what cannot be read and how to grant it, and mistakes in the configuration'
complete -c plumb-agent -n "__fish_plumb_agent_needs_command" -f -a "enroll" -d 'Enrol this host at a collector, with a token that it has made'
complete -c plumb-agent -n "__fish_plumb_agent_needs_command" -f -a "status" -d 'Show what the running agent says of itself'
complete -c plumb-agent -n "__fish_plumb_agent_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand run" -l config -d 'The configuration file; files in agent.d beside it are read after it' -r -F
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand run" -l root -d 'The folder that is the host\'s file system root, for images, chroots and fixtures' -r -F
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand run" -s h -l help -d 'Print help'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand once" -l watcher -d 'Only this watcher looks' -r
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand once" -l root -d 'The folder that is the host\'s file system root, for images, chroots and fixtures' -r -F
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand once" -l json -d 'Print one JSON document'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand once" -s h -l help -d 'Print help'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand check" -l config -d 'The configuration file; files in agent.d beside it are read after it' -r -F
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand check" -l root -d 'The folder that is the host\'s file system root, for images, chroots and fixtures' -r -F
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand check" -l json -d 'Print one JSON document'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand check" -s h -l help -d 'Print help'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand enroll" -l collector -d 'The collector\'s enrolment listener, such as https://collector.example.com:7444' -r
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand enroll" -l token-file -d 'A file with the token, or - for standard input: never an argument, since others could read that' -r -F
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand enroll" -l config -d 'The configuration file; files in agent.d beside it are read after it' -r -F
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand enroll" -l root -d 'The folder that is the host\'s file system root, for images, chroots and fixtures' -r -F
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand enroll" -l json -d 'Print one JSON document'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand enroll" -s h -l help -d 'Print help'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand status" -l config -d 'The configuration file; files in agent.d beside it are read after it' -r -F
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand status" -l root -d 'The folder that is the host\'s file system root, for images, chroots and fixtures' -r -F
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand status" -l json -d 'Print one JSON document'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand status" -s h -l help -d 'Print help'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand help; and not __fish_seen_subcommand_from run once check enroll status help" -f -a "run" -d 'Observe and deliver, until stopped'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand help; and not __fish_seen_subcommand_from run once check enroll status help" -f -a "once" -d 'Observe once, print, and leave. Needs no collector and no configuration, and writes nothing'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand help; and not __fish_seen_subcommand_from run once check enroll status help" -f -a "check" -d 'Show what is discovered, what cannot be read and how to grant it, and mistakes in the configuration'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand help; and not __fish_seen_subcommand_from run once check enroll status help" -f -a "enroll" -d 'Enrol this host at a collector, with a token that it has made'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand help; and not __fish_seen_subcommand_from run once check enroll status help" -f -a "status" -d 'Show what the running agent says of itself'
complete -c plumb-agent -n "__fish_plumb_agent_using_subcommand help; and not __fish_seen_subcommand_from run once check enroll status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
