# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_plumb_global_optspecs
    string join \n collector= identity= json h/help V/version
end

function __fish_plumb_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_plumb_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_plumb_using_subcommand
    set -l cmd (__fish_plumb_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c plumb -n "__fish_plumb_needs_command" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_needs_command" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_needs_command" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_needs_command" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_needs_command" -s V -l version -d 'Print version'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "hosts" -d 'Every host on one line: state, last seen, drifts, and what stands on it'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "host" -d 'One host on one screen; or rename, group, retire, revoke it'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "drift" -d 'What has drifted, worst first: what, since when, expected and actual, likely cause, hint'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "approve" -d 'Make today\'s state the baseline: of single drifts, of a whole host, or of what a change set touched'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "facts" -d 'One table over all hosts: which host has what'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "calendar" -d 'What ends its support or expires in the next twelve months, and what is over already and still in use'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "changes" -d 'Everything that changed, newest last: rows that came, went or differ, and files; what belongs together on one line'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "events" -d 'What happened on a host, oldest first'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "history" -d 'The course of a metric: a chart, --csv or --json'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "schema" -d 'The tables and columns of facts, as hosts declare them'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "rules" -d 'The rules in force'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "alerts" -d 'Messages to receivers, newest first: delivered, waiting for another try, failed'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand hosts" -l group -d 'Of hosts with this label only; may be given more than once' -r
complete -c plumb -n "__fish_plumb_using_subcommand hosts" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand hosts" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand hosts" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand hosts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand host; and not __fish_seen_subcommand_from rename group retire revoke help" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand host; and not __fish_seen_subcommand_from rename group retire revoke help" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand host; and not __fish_seen_subcommand_from rename group retire revoke help" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand host; and not __fish_seen_subcommand_from rename group retire revoke help" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_using_subcommand host; and not __fish_seen_subcommand_from rename group retire revoke help" -a "rename" -d 'Give a host another name; its history stays'
complete -c plumb -n "__fish_plumb_using_subcommand host; and not __fish_seen_subcommand_from rename group retire revoke help" -a "group" -d 'Set labels of a host: NAME=VALUE sets one, NAME= takes it away'
complete -c plumb -n "__fish_plumb_using_subcommand host; and not __fish_seen_subcommand_from rename group retire revoke help" -a "retire" -d 'Take a host out of service: it is no longer listed nor judged and may not report; its history stays'
complete -c plumb -n "__fish_plumb_using_subcommand host; and not __fish_seen_subcommand_from rename group retire revoke help" -a "revoke" -d 'Never accept this host\'s certificate again, such as when its key was stolen; its stream is closed at once'
complete -c plumb -n "__fish_plumb_using_subcommand host; and not __fish_seen_subcommand_from rename group retire revoke help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from rename" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from rename" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from rename" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from rename" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from group" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from group" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from group" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from group" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from retire" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from retire" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from retire" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from retire" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from revoke" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from revoke" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from revoke" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "rename" -d 'Give a host another name; its history stays'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "group" -d 'Set labels of a host: NAME=VALUE sets one, NAME= takes it away'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "retire" -d 'Take a host out of service: it is no longer listed nor judged and may not report; its history stays'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Never accept this host\'s certificate again, such as when its key was stolen; its stream is closed at once'
complete -c plumb -n "__fish_plumb_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l host -d 'Of this host only' -r
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l group -d 'Of hosts with this label only; may be given more than once' -r
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l kind -d 'Of this kind only' -r -f -a "changed\t''
policy\t''
silent\t''"
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l severity -d 'At least this bad' -r -f -a "info\t''
warning\t''
critical\t''"
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l all -d 'Those that are over, too'
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l exit-code -d 'Exit with 1 if there is any open drift among them'
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand drift" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_using_subcommand approve" -l host -d 'All of this host' -r
complete -c plumb -n "__fish_plumb_using_subcommand approve" -l table -d '... in this table only' -r
complete -c plumb -n "__fish_plumb_using_subcommand approve" -l change-set -d 'All that this change set touched, as `plumb changes` shows it; what has changed again since is left as it was' -r
complete -c plumb -n "__fish_plumb_using_subcommand approve" -l note -d 'Why, for those who read it later' -r
complete -c plumb -n "__fish_plumb_using_subcommand approve" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand approve" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand approve" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand approve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand facts" -l where -d 'Rows for which this holds only: CEL, as the `where` of a rule has it' -r
complete -c plumb -n "__fish_plumb_using_subcommand facts" -l host -d 'Of this host only' -r
complete -c plumb -n "__fish_plumb_using_subcommand facts" -l group -d 'Of hosts with this label only; may be given more than once' -r
complete -c plumb -n "__fish_plumb_using_subcommand facts" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand facts" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand facts" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand facts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand calendar" -l host -d 'Of this host only' -r
complete -c plumb -n "__fish_plumb_using_subcommand calendar" -l group -d 'Of hosts with this label only; may be given more than once' -r
complete -c plumb -n "__fish_plumb_using_subcommand calendar" -l months -d 'How many months ahead' -r
complete -c plumb -n "__fish_plumb_using_subcommand calendar" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand calendar" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand calendar" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand calendar" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand changes" -l since -d 'Not before: a time span such as 2h or 7d, or a moment such as 2026-11-21T10:00:00Z' -r
complete -c plumb -n "__fish_plumb_using_subcommand changes" -l limit -d 'The newest N only [default: 100; with --json 1000, which is the most]' -r
complete -c plumb -n "__fish_plumb_using_subcommand changes" -l group -d 'Of hosts with this label only; may be given more than once' -r
complete -c plumb -n "__fish_plumb_using_subcommand changes" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand changes" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand changes" -s v -l items -d 'Show what is in each set'
complete -c plumb -n "__fish_plumb_using_subcommand changes" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand changes" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand events" -l kind -d 'Of this kind only' -r
complete -c plumb -n "__fish_plumb_using_subcommand events" -l since -d 'Not before: a time span such as 2h or 7d, or a moment such as 2026-11-21T10:00:00Z' -r
complete -c plumb -n "__fish_plumb_using_subcommand events" -l limit -d 'The newest N only [default: 200; with --json as many as there are, 100000 at most]' -r
complete -c plumb -n "__fish_plumb_using_subcommand events" -l after -d 'Behind this one: the `number` that --json shows' -r
complete -c plumb -n "__fish_plumb_using_subcommand events" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand events" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand events" -s f -l follow -d 'Go on with what happens from now, until Ctrl-C; with --json one JSON document a line'
complete -c plumb -n "__fish_plumb_using_subcommand events" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand events" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_using_subcommand history" -l label -d 'Of series with this label only; may be given more than once' -r
complete -c plumb -n "__fish_plumb_using_subcommand history" -l since -d 'From: a time span such as 2h or 7d, or a moment such as 2026-11-21T10:00:00Z' -r
complete -c plumb -n "__fish_plumb_using_subcommand history" -l until -d 'Until: likewise [default: now]' -r
complete -c plumb -n "__fish_plumb_using_subcommand history" -l step -d 'Between two points [default: so that there are 200 or fewer]' -r
complete -c plumb -n "__fish_plumb_using_subcommand history" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand history" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand history" -l raw -d 'Counters as they stand'
complete -c plumb -n "__fish_plumb_using_subcommand history" -l csv -d 'Print comma-separated values'
complete -c plumb -n "__fish_plumb_using_subcommand history" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand history" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_using_subcommand schema" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand schema" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand schema" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand schema" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_using_subcommand rules; and not __fish_seen_subcommand_from test help" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand rules; and not __fish_seen_subcommand_from test help" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand rules; and not __fish_seen_subcommand_from test help" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand rules; and not __fish_seen_subcommand_from test help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand rules; and not __fish_seen_subcommand_from test help" -f -a "test" -d 'Try a policy file on all hosts as they are; nothing is changed'
complete -c plumb -n "__fish_plumb_using_subcommand rules; and not __fish_seen_subcommand_from test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand rules; and __fish_seen_subcommand_from test" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand rules; and __fish_seen_subcommand_from test" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand rules; and __fish_seen_subcommand_from test" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand rules; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand rules; and __fish_seen_subcommand_from help" -f -a "test" -d 'Try a policy file on all hosts as they are; nothing is changed'
complete -c plumb -n "__fish_plumb_using_subcommand rules; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and not __fish_seen_subcommand_from test help" -l limit -d 'The newest N only' -r
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and not __fish_seen_subcommand_from test help" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and not __fish_seen_subcommand_from test help" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and not __fish_seen_subcommand_from test help" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and not __fish_seen_subcommand_from test help" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and not __fish_seen_subcommand_from test help" -f -a "test" -d 'Send a receiver a test message now, and say what it answered'
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and not __fish_seen_subcommand_from test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and __fish_seen_subcommand_from test" -l collector -d 'Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]' -r
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and __fish_seen_subcommand_from test" -l identity -d 'Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and __fish_seen_subcommand_from test" -l json -d 'Print one JSON document'
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and __fish_seen_subcommand_from help" -f -a "test" -d 'Send a receiver a test message now, and say what it answered'
complete -c plumb -n "__fish_plumb_using_subcommand alerts; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "hosts" -d 'Every host on one line: state, last seen, drifts, and what stands on it'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "host" -d 'One host on one screen; or rename, group, retire, revoke it'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "drift" -d 'What has drifted, worst first: what, since when, expected and actual, likely cause, hint'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "approve" -d 'Make today\'s state the baseline: of single drifts, of a whole host, or of what a change set touched'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "facts" -d 'One table over all hosts: which host has what'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "calendar" -d 'What ends its support or expires in the next twelve months, and what is over already and still in use'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "changes" -d 'Everything that changed, newest last: rows that came, went or differ, and files; what belongs together on one line'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "events" -d 'What happened on a host, oldest first'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "history" -d 'The course of a metric: a chart, --csv or --json'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "schema" -d 'The tables and columns of facts, as hosts declare them'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "rules" -d 'The rules in force'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "alerts" -d 'Messages to receivers, newest first: delivered, waiting for another try, failed'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from hosts host drift approve facts calendar changes events history schema rules alerts help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "rename" -d 'Give a host another name; its history stays'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "group" -d 'Set labels of a host: NAME=VALUE sets one, NAME= takes it away'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "retire" -d 'Take a host out of service: it is no longer listed nor judged and may not report; its history stays'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "revoke" -d 'Never accept this host\'s certificate again, such as when its key was stolen; its stream is closed at once'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from rules" -f -a "test" -d 'Try a policy file on all hosts as they are; nothing is changed'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from alerts" -f -a "test" -d 'Send a receiver a test message now, and say what it answered'
