package shell

import (
	"errors"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// fields expands words, as the shell does it for a command.
func (s *Script) fields(words []*syntax.Word) ([]string, error) {
	var all []string
	for _, w := range words {
		if isArguments(w) {
			all = append(all, s.args...)
			continue
		}
		text, err := s.word(w)
		if err != nil {
			return nil, err
		}
		literal := true
		for _, part := range w.Parts {
			switch p := part.(type) {
			case *syntax.Lit:
				if strings.ContainsAny(p.Value, "*?[{") && p.Value != "[" || strings.HasPrefix(p.Value, "~") {
					return nil, unknownAt(w, "a pattern")
				}
			case *syntax.ParamExp, *syntax.CmdSubst:
				literal = false
			}
		}
		if literal {
			all = append(all, text)
			continue
		}
		if strings.ContainsAny(text, "*?[") || len(w.Parts) > 1 && strings.ContainsAny(text, " \t\n") {
			return nil, unknownAt(w, "a value that the shell splits")
		}
		all = append(all, strings.Fields(text)...)
	}
	return all, nil
}

// isArguments reports whether a word is "$@".
func isArguments(w *syntax.Word) bool {
	if len(w.Parts) != 1 {
		return false
	}
	quoted, ok := w.Parts[0].(*syntax.DblQuoted)
	if !ok || len(quoted.Parts) != 1 {
		return false
	}
	p, ok := quoted.Parts[0].(*syntax.ParamExp)
	return ok && p.Param.Value == "@" && p.Exp == nil
}

// word expands a word, without splitting it.
func (s *Script) word(w *syntax.Word) (string, error) {
	if w == nil {
		return "", nil
	}
	return s.parts(w, w.Parts, false)
}

func (s *Script) parts(w *syntax.Word, parts []syntax.WordPart, quoted bool) (string, error) {
	var text strings.Builder
	for _, part := range parts {
		value, err := s.part(w, part, quoted)
		if err != nil {
			return "", err
		}
		text.WriteString(value)
	}
	return text.String(), nil
}

func (s *Script) part(w *syntax.Word, part syntax.WordPart, quoted bool) (string, error) {
	switch p := part.(type) {
	case *syntax.Lit:
		return unescape(p.Value, quoted), nil
	case *syntax.SglQuoted:
		return p.Value, nil
	case *syntax.DblQuoted:
		return s.parts(w, p.Parts, true)
	case *syntax.ParamExp:
		return s.parameter(p)
	case *syntax.CmdSubst:
		vars := s.Vars
		output := ""
		for _, statement := range p.Stmts {
			more, err := s.statement(statement, "")
			if end := (ends{}); err != nil && !errors.As(err, &end) {
				return "", err
			}
			output += more
		}
		s.Vars = vars
		return strings.TrimRight(output, "\n"), nil
	default:
		return "", unknownAt(w, "an expansion")
	}
}

// unescape drops backslashes that quote.
func unescape(text string, quoted bool) string {
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && (!quoted || strings.IndexByte("$`\"\\\n", text[i+1]) >= 0) {
			if i++; text[i] == '\n' {
				continue
			}
		}
		plain.WriteByte(text[i])
	}
	return plain.String()
}

// parameter is the value of a parameter. One that nothing sets is empty, but those of the environment are not known.
func (s *Script) parameter(p *syntax.ParamExp) (string, error) {
	name := p.Param.Value
	if p.Excl || p.Length || p.Width || p.Index != nil || p.Slice != nil || p.Repl != nil || p.Names != 0 {
		return "", unknownAt(p, "an expansion")
	}
	value, set := s.Vars[name]
	number, err := strconv.Atoi(name)
	switch {
	case err == nil && number > 0:
		if set = number <= len(s.args); set {
			value = s.args[number-1]
		}
	case name == "@" || name == "*":
		value, set = strings.Join(s.args, " "), true
	case name == "#":
		value, set = strconv.Itoa(len(s.args)), true
	case name == "?":
		value, set = strconv.Itoa(s.status), true
	case !set && (strings.ToLower(name) != name || number == 0 && err == nil):
		return "", unknownAt(p, "the variable "+name)
	}
	if p.Exp == nil {
		return value, nil
	}
	missing := !set || value == "" && (p.Exp.Op == syntax.DefaultUnsetOrNull || p.Exp.Op == syntax.AlternateUnsetOrNull)
	switch p.Exp.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull:
		if missing {
			return s.word(p.Exp.Word)
		}
		return value, nil
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		if missing {
			return "", nil
		}
		return s.word(p.Exp.Word)
	default:
		return "", unknownAt(p, "an expansion")
	}
}
