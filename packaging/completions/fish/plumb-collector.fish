# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_plumb_collector_global_optspecs
    string join \n config= h/help V/version
end

function __fish_plumb_collector_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_plumb_collector_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_plumb_collector_using_subcommand
    set -l cmd (__fish_plumb_collector_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c plumb-collector -n "__fish_plumb_collector_needs_command" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_needs_command" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_needs_command" -s V -l version -d 'Print version'
complete -c plumb-collector -n "__fish_plumb_collector_needs_command" -f -a "serve" -d 'Run the collector'
complete -c plumb-collector -n "__fish_plumb_collector_needs_command" -f -a "token" -d 'Tokens, with which hosts enrol'
complete -c plumb-collector -n "__fish_plumb_collector_needs_command" -f -a "user" -d 'Users, who ask from other machines through the query port'
complete -c plumb-collector -n "__fish_plumb_collector_needs_command" -f -a "backup" -d 'Save database and certificate authority in one file, while the collector runs'
complete -c plumb-collector -n "__fish_plumb_collector_needs_command" -f -a "restore" -d 'Put a backup in the place of what is in the state folder; the collector must not run'
complete -c plumb-collector -n "__fish_plumb_collector_needs_command" -f -a "ca" -d 'The certificate authority\'s root key: off this machine, and back'
complete -c plumb-collector -n "__fish_plumb_collector_needs_command" -f -a "check" -d 'Check configuration, rules, store and the chains of the history'
complete -c plumb-collector -n "__fish_plumb_collector_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand serve" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand serve" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and not __fish_seen_subcommand_from create help" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and not __fish_seen_subcommand_from create help" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and not __fish_seen_subcommand_from create help" -f -a "create" -d 'Make a token, and print the one line to paste on the host'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and not __fish_seen_subcommand_from create help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and __fish_seen_subcommand_from create" -l name -d 'Name that the host gets [default: its own host name]' -r
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and __fish_seen_subcommand_from create" -l ttl -d 'How long it is good for, 24h at most' -r
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and __fish_seen_subcommand_from create" -l uses -d 'How many hosts may enrol with it' -r
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and __fish_seen_subcommand_from create" -l group -d 'A label that the host gets; may be given more than once' -r
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and __fish_seen_subcommand_from create" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and __fish_seen_subcommand_from create" -l json -d 'Print one JSON document'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a token, and print the one line to paste on the host'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and not __fish_seen_subcommand_from create list revoke help" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and not __fish_seen_subcommand_from create list revoke help" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and not __fish_seen_subcommand_from create list revoke help" -f -a "create" -d 'Make a user and the file with which they ask: key, certificate, pinned root and address'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and not __fish_seen_subcommand_from create list revoke help" -f -a "list" -d 'List users'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and not __fish_seen_subcommand_from create list revoke help" -f -a "revoke" -d 'Take a user\'s certificate back; a connection that is open is closed within seconds'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and not __fish_seen_subcommand_from create list revoke help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from create" -l role -d 'What they may do: viewer (ask), operator (approve), admin (decide about hosts)' -r -f -a "viewer\t''
operator\t''
admin\t''"
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from create" -l group -d 'Only hosts with this label are theirs; may be given more than once' -r
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from create" -l days -d 'How long the certificate is good for' -r
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from create" -l out -d 'The file to make [default: NAME.pem]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from create" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from create" -l json -d 'Print one JSON document'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from list" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON document'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from revoke" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a user and the file with which they ask: key, certificate, pinned root and address'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "list" -d 'List users'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Take a user\'s certificate back; a connection that is open is closed within seconds'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand backup" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand backup" -l replace -d 'Replace FILE if it is there, once the new one is whole'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand backup" -l json -d 'Print one JSON document'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand backup" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand restore" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand restore" -l despite-faults -d 'Restore it although its history is not what was received'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand restore" -l json -d 'Print one JSON document'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand restore" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and not __fish_seen_subcommand_from export import help" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and not __fish_seen_subcommand_from export import help" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and not __fish_seen_subcommand_from export import help" -f -a "export" -d 'Move the root key off this machine, into a file under a passphrase'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and not __fish_seen_subcommand_from export import help" -f -a "import" -d 'Bring the root key back from such a file'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and not __fish_seen_subcommand_from export import help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and __fish_seen_subcommand_from export" -l passphrase-file -d 'Read the passphrase from the first line of a file, or from standard input (-), instead of asking' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and __fish_seen_subcommand_from export" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and __fish_seen_subcommand_from export" -l json -d 'Print one JSON document'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and __fish_seen_subcommand_from import" -l passphrase-file -d 'Read the passphrase from the first line of a file, or from standard input (-), instead of asking' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and __fish_seen_subcommand_from import" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and __fish_seen_subcommand_from import" -l json -d 'Print one JSON document'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and __fish_seen_subcommand_from help" -f -a "export" -d 'Move the root key off this machine, into a file under a passphrase'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and __fish_seen_subcommand_from help" -f -a "import" -d 'Bring the root key back from such a file'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand ca; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand check" -l config -d 'The configuration [default: /etc/plumb/collector.toml]' -r -F
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand check" -l json -d 'Print one JSON document'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand check" -s h -l help -d 'Print help'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and not __fish_seen_subcommand_from serve token user backup restore ca check help" -f -a "serve" -d 'Run the collector'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and not __fish_seen_subcommand_from serve token user backup restore ca check help" -f -a "token" -d 'Tokens, with which hosts enrol'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and not __fish_seen_subcommand_from serve token user backup restore ca check help" -f -a "user" -d 'Users, who ask from other machines through the query port'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and not __fish_seen_subcommand_from serve token user backup restore ca check help" -f -a "backup" -d 'Save database and certificate authority in one file, while the collector runs'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and not __fish_seen_subcommand_from serve token user backup restore ca check help" -f -a "restore" -d 'Put a backup in the place of what is in the state folder; the collector must not run'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and not __fish_seen_subcommand_from serve token user backup restore ca check help" -f -a "ca" -d 'The certificate authority\'s root key: off this machine, and back'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and not __fish_seen_subcommand_from serve token user backup restore ca check help" -f -a "check" -d 'Check configuration, rules, store and the chains of the history'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and not __fish_seen_subcommand_from serve token user backup restore ca check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "create" -d 'Make a token, and print the one line to paste on the host'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "create" -d 'Make a user and the file with which they ask: key, certificate, pinned root and address'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "list" -d 'List users'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "revoke" -d 'Take a user\'s certificate back; a connection that is open is closed within seconds'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and __fish_seen_subcommand_from ca" -f -a "export" -d 'Move the root key off this machine, into a file under a passphrase'
complete -c plumb-collector -n "__fish_plumb_collector_using_subcommand help; and __fish_seen_subcommand_from ca" -f -a "import" -d 'Bring the root key back from such a file'
