# number makes releases comparable: 2026.7.1-2 comes after 2026.7.1.
function number(release, part) {
	split(release, part, /[.-]/)
	return ((part[1] * 1000 + part[2]) * 1000 + part[3]) * 1000 + part[4]
}

# explanations reads what explains a "no": see the file's own head.
function explanations(file, line, field, range) {
	while ((getline line < file) > 0) {
		if (line ~ /^(#|$)/) continue
		if (split(line, field, / +\| +/) != 6) {
			print file ": not six fields: " line > "/dev/stderr"
			exit 1
		}
		split(field[2], range, /\.\./)
		key[++known] = field[1]
		from[known] = range[1]
		to[known] = range[2]
		of[known] = "," field[3] ","
		pattern[known] = field[4]
		short[known] = field[5]
		long[known] = field[6]
	}
	close(file)
}
