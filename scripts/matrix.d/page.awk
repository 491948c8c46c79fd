# Write docs/releases.md out of docs/releases.tsv and the explanations.
BEGIN { FS = "\t"; explanations(explained) }

NR == 1 {
	printf "| release | store | run on |"
	for (i = 5; i <= NF; i++) printf " %s |", $i
	print " what it cannot do |"
	printf "|---|---|---|"
	for (i = 5; i <= NF; i++) printf "---|"
	print "---|"
	next
}

{
	printf "| %s | %s | %s |", $1, $4, $2
	cannot = ""
	split("", told)
	for (i = 5; i <= NF; i++) {
		split($i, part, ":")
		printf " %s |", part[1]
		if (part[1] == "no" && !(part[2] in told)) {
			told[part[2]]
			cannot = cannot (cannot == "" ? "" : "; ") note(part[2])
		}
	}
	print " " cannot " |"
}

END {
	if (!notes) exit
	print "\n## What these releases cannot do\n"
	for (i = 1; i <= notes; i++) print i ". " long[noted[i]]
}

# note is the short form of an explanation, with its number below the table.
function note(name, i) {
	for (i = 1; i <= known; i++)
		if (key[i] == name) {
			if (!(name in numbered)) { noted[++notes] = i; numbered[name] = notes }
			return short[i] " (" numbered[name] ")"
		}
	return "NOT EXPLAINED"
}
