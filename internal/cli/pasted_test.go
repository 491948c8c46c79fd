package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// pasted is a text that ends inside a command line, as hints have it: what follows
// is a word for a shell.
var pasted = regexp.MustCompile(`(?:^|[:;(] |   |or |by: ?)(?:as root: )?(?:ls|chmod|chown|rm|mv|cp|df|mkdir|cat|mount|fuser|bootstrap|openclaw|docker)(?: [^;:]*)?[ =]$`)

// safeToPaste are the expressions that are one word to every shell.
func safeToPaste() map[string]bool {
	safe := map[string]bool{}
	for _, name := range []string{
		"shell.Quote", "quotedWords",
		"RequestID", "requestID", // protocol.IsRequestID has seen them
		"Name", "name", // of a client: seed.ValidName has
		"commandName", "ExampleGateway", "asked", // ours: a command, an example, a role of two
		"User", "u", // UID:GID
		"Release", "Go", "OS", // no command, but the version
	} {
		safe[name] = true
	}
	return safe
}

// isWord tells whether an expression is one of those, a number or a text of ours.
func isWord(e ast.Expr, safe map[string]bool) bool {
	if _, ours := e.(*ast.BasicLit); ours {
		return true
	}
	parts := path(e)
	return safe[strings.Join(parts, ".")] || safe[parts[len(parts)-1]]
}

func path(e ast.Expr) []string {
	switch e := e.(type) {
	case *ast.Ident:
		return []string{e.Name}
	case *ast.SelectorExpr:
		return append(path(e.X), e.Sel.Name)
	case *ast.CallExpr:
		return path(e.Fun)
	}
	return []string{"?"}
}

// terms are the parts of a sum of texts, and of a format with its arguments.
func terms(e ast.Expr) []ast.Expr {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return terms(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return append(terms(e.X), terms(e.Y)...)
		}
	case *ast.CallExpr:
		if name := strings.Join(path(e.Fun), "."); name != "fmt.Sprintf" && name != "fmt.Errorf" {
			return []ast.Expr{e}
		}
		format, ok := e.Args[0].(*ast.BasicLit)
		if !ok {
			return []ast.Expr{e}
		}
		text, _ := strconv.Unquote(format.Value)
		var out []ast.Expr
		arguments := e.Args[1:]
		for {
			at := regexp.MustCompile(`%[-+# 0-9.]*[a-z]`).FindStringIndex(text)
			if at == nil || len(arguments) == 0 {
				return append(out, literal(text))
			}
			out = append(out, literal(text[:at[0]]))
			if strings.HasSuffix(text[:at[1]], "d") {
				out = append(out, literal("0"))
			} else {
				out = append(out, arguments[0])
			}
			text, arguments = text[at[1]:], arguments[1:]
		}
	}
	return []ast.Expr{e}
}

func literal(text string) ast.Expr {
	return &ast.BasicLit{Kind: token.STRING, Value: strconv.Quote(text)}
}

// A path with a blank or a quote in it must not become another command.
func TestEveryWordOfACommandToPasteIsQuoted(t *testing.T) {
	safe := safeToPaste()
	files, commands := 0, 0
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "gatewaytest") {
			return err
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			parts := terms(e)
			if len(parts) < 2 {
				return true
			}
			text := ""
			for _, part := range parts {
				if lit, ok := part.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					more, _ := strconv.Unquote(lit.Value)
					text += more
					continue
				}
				if pasted.MatchString(text) {
					commands++
					if !isWord(part, safe) {
						t.Errorf("%s: after %q comes %s", set.Position(part.Pos()), text, strings.Join(path(part), "."))
					}
				}
				text += "WORD"
			}
			return false
		})
		return nil
	})
	if err != nil || files < 100 || commands < 20 {
		t.Errorf("%d files with %d words of commands, %v", files, commands, err)
	}
}
