# bash completion for imapstated
_imapstated() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $before in
    -c | --config)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "-c --config -n --print -t --test -V --version -h --help" -- "$word") ;;
    esac
}
complete -F _imapstated imapstated
