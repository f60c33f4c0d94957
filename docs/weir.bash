# SPDX-License-Identifier: MIT
# Completion of weir's command line in bash: verbs and options from its own help, names from the gateway that runs.

_weir_names() { # KIND|KIND: the second word of these rows of the status; nothing when no gateway can be asked
	weir status 2>/dev/null | sed -nE "s/^($1) +([^ ]+) .*/\2/p"
}

_weir() {
	local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words=""

	if [ "$COMP_CWORD" = 1 ]; then
		words=$(weir --help 2>/dev/null | sed -nE 's/^  weir ([a-z]+) .*/\1/p')
	elif [[ $cur == -* ]]; then
		words=$(weir "$verb" --help 2>/dev/null | grep -oE -- '--[a-z-]+')
	else
		case $verb in
		status | read | write) words=$(_weir_names 'line|device') ;;
		trace | scan) words=$(_weir_names line) ;;
		replay | quarantine) words=$(_weir_names upstream) ;;
		help) words=$(weir --help 2>/dev/null | sed -nE 's/^  weir ([a-z]+) .*/\1/p') ;;
		user) [ "$COMP_CWORD" != 2 ] || words="add remove list" ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -o default -F _weir weir
