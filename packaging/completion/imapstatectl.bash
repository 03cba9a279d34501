# bash completion for imapstatectl
_imapstatectl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} choice='' at=1
    COMPREPLY=()
    case $before in
    --password-file | --ca-file | --socket)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return ;;
    --user | --port | --timeout | --from | --upstream | --address) return ;;
    esac
    while [ "$at" -lt "$COMP_CWORD" ]; do # options in front of the command
        case ${COMP_WORDS[at]} in
        --socket) at=$((at + 2)) ;;
        -*) at=$((at + 1)) ;;
        *) break ;;
        esac
    done
    local common="--socket --json --help" place=$((COMP_CWORD - at))
    if [ "$place" -le 0 ]; then
        choice="try keys show route top kick forget revoke upstream drain resume reload upgrade log $common --version"
    else
        case ${COMP_WORDS[at]} in
        try) choice="--user --password-file --oauth --port --starttls --plain --ca-file --insecure --timeout --help" ;;
        keys)
            if [ "$place" = 1 ]; then
                choice="new rotate list"
            elif [ "$place" = 2 ] && [[ $word != -* ]]; then
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
                return
            else
                choice="--from"
            fi ;;
        show)
            choice="--user --upstream --address $common"
            [ "$place" = 1 ] && choice="clients parked users upstreams listeners keys counters config $common" ;;
        forget | revoke) choice="--all $common" ;;
        upstream)
            choice=$common
            [ "$place" = 2 ] && choice="down drain up $common" ;;
        log)
            choice=$common
            [ "$place" = 1 ] && choice="error warning info debug $common" ;;
        *) choice=$common ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$choice" -- "$word")
}
complete -F _imapstatectl imapstatectl
