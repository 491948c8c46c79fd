# Read the output of "TestMatrix -test.v", write a line a cell: release, column,
# and yes, no or fail, between tabs. With -v into=DIR, what the tests said goes
# into files: DIR/COLUMN for each column, DIR/row for the rest.

function titled(test) {
	gsub("_", " ", test)
	return test
}

# "=== RUN   TestMatrix/2026.9.6/two_scopes": the lines below are that test's.
$1 == "===" {
	speaker = ""
	if (split($3, name, "/") == 3) speaker = name[2] SUBSEP titled(name[3])
	next
}

# "        --- PASS: TestMatrix/2026.9.6/two_scopes (0.08s)"
$1 == "---" {
	if (split($3, name, "/") == 3) {
		cell[++cells] = name[2] SUBSEP titled(name[3])
		passed[cells] = $2 == "PASS:"
	}
	next
}

/ matrix: no: / { no[speaker] }

into {
	split(speaker, name, SUBSEP)
	print > (into "/" (speaker == "" ? "row" : name[2]))
}

END {
	for (i = 1; i <= cells; i++) {
		split(cell[i], name, SUBSEP)
		print name[1] "\t" name[2] "\t" (!passed[i] ? "fail" : (cell[i] in no) ? "no" : "yes")
	}
}
