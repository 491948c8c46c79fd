# Completion for fish: put it into ~/.config/fish/completions or
# /usr/share/fish/vendor_completions.d. Nothing after "--", which is the gateway's:
# asking would start it.
function __bootstrap_complete
    set --local asked (commandline --tokenize --cut-at-cursor --current-process)
    set --local current (commandline --current-token --cut-at-cursor)
    contains -- -- $asked; and return
    string match --quiet -- '-*' $current; and set --append asked (string replace --regex -- '^--' '-' $current)
    $asked --generate-bash-completion 2>/dev/null
end
complete --command bootstrap --arguments '(__bootstrap_complete)'
