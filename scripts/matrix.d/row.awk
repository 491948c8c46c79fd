# Make the line of docs/releases.tsv of one release out of its cells (cells.awk).
# A cell that is no "yes" gets the key of the explanation whose words the release
# itself has said: "no:KEY". Without one it is a "fail".
#
#   -v release= date= commit= store= code=  the last is the tests' exit code
#   -v explained=FILE said=DIR              said holds what cells.awk wrote there

BEGIN { FS = OFS = "\t"; explanations(explained) }

# The head of docs/releases.tsv names the columns.
FNR == NR {
	if (FNR == 1) for (i = 5; i <= NF; i++) title[++titles] = $i
	next
}

{ result[$2] = $3 }

END {
	for (i = 1; i <= titles; i++) {
		if (!(title[i] in result)) result[title[i]] = "-"
		if (result[title[i]] == "fail") failed = 1
	}
	# Something that belongs to no column ended the tests.
	for (i = 1; code && !failed; i++)
		if (i == titles || result[title[i]] == "-") result[title[i]] = failed = "fail"

	line = release OFS date OFS commit OFS (store == "" ? "-" : store)
	for (i = 1; i <= titles; i++) {
		answer = result[title[i]]
		if (answer == "no" || answer == "fail") {
			why = explanation(title[i])
			answer = why == "" ? "fail" : "no:" why
		}
		line = line OFS answer
	}
	print line
}

function explanation(column, i, text) {
	text = contents(said "/" column) contents(said "/row")
	for (i = 1; i <= known; i++)
		if (number(from[i]) <= number(release) && number(release) <= number(to[i]) &&
			index(of[i], "," column ",") && text ~ pattern[i])
			return key[i]
}

function contents(file, line, text) {
	while ((getline line < file) > 0) text = text line "\n"
	close(file)
	return text
}
