package plan

import "strings"

// SplitList is a list of values that commas separate. Those in templates belong to a value: {{printf "%s,%s" .Name "x"}} is one.
func SplitList(list string) []string {
	var values []string
	for rest := list; rest != ""; {
		end := valueEnd(rest)
		if value := strings.TrimSpace(rest[:end]); value != "" {
			values = append(values, value)
		}
		rest = strings.TrimPrefix(rest[end:], ",")
	}
	return values
}

// valueEnd is where the first value of a list ends.
func valueEnd(list string) int {
	inTemplate, quote := false, byte(0)
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quote != 0 && c == '\\' && quote != '`':
			i++ // what it escapes
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case inTemplate && strings.IndexByte("\"'`", c) >= 0:
			quote = c
		case inTemplate:
			inTemplate = !strings.HasPrefix(list[i:], "}}")
		case strings.HasPrefix(list[i:], "{{"):
			inTemplate = true
			i++
		case c == ',':
			return i
		}
	}
	return len(list)
}
