# shellcheck shell=bash
# Completion for bash: source it, or install it as
# /usr/share/bash-completion/completions/bootstrap. The program itself knows what
# there is, so nothing here has to follow it.
_bootstrap() {
	local current=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]:0:COMP_CWORD}") word
	COMPREPLY=()
	for word in "${words[@]}"; do
		# What follows is the gateway's: asking would start it.
		[[ $word != -- ]] || return 0
	done
	# A lone "--" would end the options, and the question with them.
	[[ $current != -* ]] || words+=("${current/#--/-}")
	mapfile -t COMPREPLY < <(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$current")
}
complete -o bashdefault -o default -F _bootstrap bootstrap
