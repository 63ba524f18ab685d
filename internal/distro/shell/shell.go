// Package shell finds out what a script of a package would do when the package is installed, without running anything. Conditions are decided by
// what is known: the arguments, and the files of the image. Each command that is reached is handed to a [System], which does what it does or
// does not know it. What is not reached does not matter.
package shell

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// ErrUnknown is the error of a script that does something that is not known.
var ErrUnknown = errors.New("not known")

// System is what a script changes.
type System interface {
	// Command does what a command does, and returns its exit status and what it prints. The error is [ErrUnknown] if it is not known.
	Command(s *Script, words []string, input string) (status int, output string, err error)
	// Exists reports whether there is a file that a condition asks for by an operator of test, such as -x.
	Exists(operator, name string) bool
	// Write writes a file with permissions.
	Write(name, content string, mode fs.FileMode) error
}

// Script is one that is evaluated.
type Script struct {
	// Vars are its variables.
	Vars map[string]string
	// Mode is what permissions a file has that it makes: those that umask leaves.
	Mode fs.FileMode

	system    System
	args      []string
	functions map[string]*syntax.Stmt
	steps     int
	// status is that of the last command.
	status int
}

// stepLimit is the most commands that are evaluated.
const stepLimit = 5_000

// interpreters begin scripts for a shell.
var interpreters = regexp.MustCompile(`^#! ?/(?:usr/)?bin/(?:sh|bash|dash|ash|busybox sh)(?: -[eu]+)?\n`)

// Run evaluates a script with its arguments. The error is [ErrUnknown], with the line, if it does something that is not known.
func Run(system System, script []byte, args ...string) error {
	if !interpreters.Match(script) {
		return unknown{what: "it is not for a shell"}
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(bytes.NewReader(script), "")
	if err != nil {
		return unknown{what: err.Error()}
	}
	s := &Script{Vars: map[string]string{"DPKG_ROOT": ""}, Mode: 0o644, system: system, args: args, functions: map[string]*syntax.Stmt{}}
	err = s.all(file.Stmts)
	var end ends
	if errors.As(err, &end) {
		err = nil
	}
	if err == nil && s.status != 0 && end.exits {
		err = unknown{what: "it fails"}
	}
	return err
}

// ends is how a script, or one of its functions, ends before its last line.
type ends struct{ exits bool }

func (ends) Error() string { return "the end" }

// unknown is ErrUnknown, in a line unless that is 0.
type unknown struct {
	line uint
	what string
}

func (u unknown) Error() string {
	if u.line == 0 {
		return u.what
	}
	return fmt.Sprintf("line %d: %s", u.line, u.what)
}

func (unknown) Is(target error) bool { return target == ErrUnknown }

func unknownAt(node syntax.Node, what string) error { return unknown{node.Pos().Line(), what} }

func (s *Script) all(statements []*syntax.Stmt) error {
	for _, statement := range statements {
		if _, err := s.statement(statement, ""); err != nil {
			return err
		}
	}
	return nil
}

// statement evaluates one, and returns what it prints.
func (s *Script) statement(statement *syntax.Stmt, input string) (output string, err error) {
	if s.steps++; s.steps > stepLimit {
		return "", unknownAt(statement, "a script that takes so long")
	}
	if statement.Background || statement.Coprocess {
		return "", unknownAt(statement, "a command in the background")
	}
	into := ""
	for _, r := range statement.Redirs {
		target, err := s.word(r.Word)
		if err != nil {
			return "", err
		}
		switch {
		case r.Hdoc != nil:
			if input, err = s.word(r.Hdoc); err != nil {
				return "", err
			}
		case r.Op == syntax.DplOut && (target == "1" || target == "2"):
		case target == "/dev/null":
			into = target
		case r.Op == syntax.RdrOut && r.N == nil:
			into = target
		default:
			return "", unknownAt(r, "a redirection")
		}
	}
	if statement.Cmd != nil {
		if output, err = s.command(statement.Cmd, input); err != nil {
			return "", err
		}
	}
	if statement.Negated {
		s.status = map[bool]int{true: 0, false: 1}[s.status != 0]
	}
	switch into {
	case "":
		return output, nil
	case "/dev/null":
		return "", nil
	default:
		return "", s.system.Write(into, output, s.Mode)
	}
}

func (s *Script) command(command syntax.Command, input string) (output string, err error) {
	switch c := command.(type) {
	case *syntax.CallExpr:
		return s.call(c, input)
	case *syntax.IfClause:
		return "", s.ifClause(c)
	case *syntax.CaseClause:
		return "", s.caseClause(c)
	case *syntax.Block:
		return "", s.all(c.Stmts)
	case *syntax.Subshell:
		vars := maps.Clone(s.Vars)
		err := s.all(c.Stmts)
		s.Vars = vars
		return "", err
	case *syntax.FuncDecl:
		s.functions[c.Name.Value], s.status = c.Body, 0
		return "", nil
	case *syntax.ForClause:
		return "", s.forClause(c)
	case *syntax.BinaryCmd:
		return s.binary(c, input)
	case *syntax.DeclClause:
		for _, a := range c.Args {
			if err := s.assign(a); err != nil {
				return "", err
			}
		}
		s.status = 0
		return "", nil
	default:
		return "", unknownAt(command, "what the shell has here")
	}
}

func (s *Script) binary(c *syntax.BinaryCmd, input string) (output string, err error) {
	output, err = s.statement(c.X, input)
	if err != nil {
		return "", err
	}
	switch {
	case c.Op == syntax.Pipe:
		return s.statement(c.Y, output)
	case c.Op == syntax.AndStmt && s.status != 0, c.Op == syntax.OrStmt && s.status == 0:
		return output, nil
	case c.Op == syntax.AndStmt, c.Op == syntax.OrStmt:
		more, err := s.statement(c.Y, input)
		return output + more, err
	default:
		return "", unknownAt(c, "what the shell has here")
	}
}

func (s *Script) ifClause(c *syntax.IfClause) error {
	for ; c != nil; c = c.Else {
		if len(c.Cond) > 0 { // which else has none of
			if err := s.all(c.Cond); err != nil {
				return err
			}
		}
		if len(c.Cond) == 0 || s.status == 0 {
			s.status = 0
			return s.all(c.Then)
		}
	}
	s.status = 0
	return nil
}

func (s *Script) caseClause(c *syntax.CaseClause) error {
	value, err := s.word(c.Word)
	if err != nil {
		return err
	}
	s.status = 0
	for _, item := range c.Items {
		if item.Op != syntax.Break {
			return unknownAt(item, "a case that goes on")
		}
		for _, p := range item.Patterns {
			pattern, err := s.word(p)
			if err != nil {
				return err
			}
			switch {
			case pattern == "*" || pattern == value:
				return s.all(item.Stmts)
			case strings.ContainsAny(pattern, `*?[\`):
				return unknownAt(p, "a pattern")
			}
		}
	}
	return nil
}

func (s *Script) forClause(c *syntax.ForClause) error {
	loop, ok := c.Loop.(*syntax.WordIter)
	if !ok || !loop.InPos.IsValid() {
		return unknownAt(c, "this loop")
	}
	words, err := s.fields(loop.Items)
	if err != nil {
		return err
	}
	s.status = 0
	for _, word := range words {
		s.Vars[loop.Name.Value] = word
		if err := s.all(c.Do); err != nil {
			return err
		}
	}
	return nil
}

func (s *Script) assign(a *syntax.Assign) error {
	if a.Name == nil || a.Name.Value == "IFS" && a.Value != nil || a.Append || a.Array != nil || a.Index != nil {
		return unknownAt(a, "an assignment")
	}
	value, err := "", error(nil)
	if a.Value != nil {
		value, err = s.word(a.Value)
	}
	s.Vars[a.Name.Value] = value
	return err
}

func (s *Script) call(c *syntax.CallExpr, input string) (output string, err error) {
	if len(c.Args) == 0 {
		s.status = 0
	}
	for _, a := range c.Assigns { // of a command alone, too: what comes after does not see another value
		if err := s.assign(a); err != nil {
			return "", err
		}
	}
	if len(c.Args) == 0 {
		return "", nil
	}
	words, err := s.fields(c.Args)
	if err != nil {
		return "", err
	}
	if len(words) == 0 {
		s.status = 0
		return "", nil
	}
	if body := s.functions[words[0]]; body != nil {
		args := s.args
		s.args = words[1:]
		output, err := s.statement(body, input)
		s.args = args
		if end := (ends{}); errors.As(err, &end) && !end.exits {
			err = nil
		}
		return output, err
	}
	status, output, err := s.builtin(words, input)
	if errors.Is(err, ErrUnknown) {
		return "", unknownAt(c, strings.Join(words, " "))
	}
	s.status = status
	return output, err
}

// builtin does what commands of the shell do, and has the system do others.
func (s *Script) builtin(words []string, input string) (status int, output string, err error) {
	switch words[0] {
	case ":", "true":
		return 0, "", nil
	case "umask":
		if len(words) != 2 {
			return 0, "", ErrUnknown
		}
		mask, err := strconv.ParseUint(words[1], 8, 9)
		if err != nil {
			return 0, "", ErrUnknown
		}
		s.Mode = 0o666 &^ fs.FileMode(mask)
		return 0, "", nil
	case "false":
		return 1, "", nil
	case "set":
		if len(words) != 2 || !regexp.MustCompile(`^[-+][eux]+$`).MatchString(words[1]) {
			return 0, "", ErrUnknown
		}
		return 0, "", nil
	case "[", "test":
		holds, err := s.test(words)
		return map[bool]int{true: 0, false: 1}[holds], "", err
	case "echo", "printf":
		return 0, strings.Join(words[1:], " ") + "\n", nil
	case "cat":
		if len(words) > 1 {
			return 0, "", ErrUnknown
		}
		return 0, input, nil
	case "shift":
		if len(words) > 1 || len(s.args) == 0 {
			return 0, "", ErrUnknown
		}
		s.args = s.args[1:]
		return 0, "", nil
	case "exit", "return":
		status := s.status
		if len(words) > 1 {
			status = map[bool]int{true: 0, false: 1}[words[1] == "0"]
		}
		s.status = status
		return status, "", ends{words[0] == "exit"}
	case "grep", "egrep", "fgrep":
		return grep(words, input)
	default:
		return s.system.Command(s, words, input)
	}
}

// plain is a regular expression that means the same to grep and to Go.
var plain = regexp.MustCompile(`^[^\\+?|(){}]*$`)

// grep is grep -q PATTERN.
func grep(words []string, input string) (status int, output string, err error) {
	quiet := func(word string) bool { return word == "-q" || word == "-qs" || word == "-sq" }
	if words = words[1:]; len(words) != 2 || !quiet(words[0]) || !plain.MatchString(words[1]) {
		return 0, "", ErrUnknown
	}
	pattern, err := regexp.Compile("(?m)" + words[1])
	if err != nil {
		return 0, "", ErrUnknown
	}
	return map[bool]int{true: 0, false: 1}[input != "" && pattern.MatchString(input)], "", nil
}

// test is a condition. Source: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/test.html
func (s *Script) test(words []string) (holds bool, err error) {
	args := words[1:]
	if words[0] == "[" {
		if len(args) == 0 || args[len(args)-1] != "]" {
			return false, ErrUnknown
		}
		args = args[:len(args)-1]
	}
	if len(args) > 1 && args[0] == "!" {
		holds, err := s.test(append([]string{"test"}, args[1:]...))
		return !holds, err
	}
	switch {
	case len(args) == 0:
		return false, nil
	case len(args) == 1:
		return args[0] != "", nil
	case len(args) == 2 && args[0] == "-n":
		return args[1] != "", nil
	case len(args) == 2 && args[0] == "-z":
		return args[1] == "", nil
	case len(args) == 2 && slices.Contains([]string{"-e", "-f", "-d", "-x", "-r", "-L", "-h", "-s"}, args[0]):
		return args[1] != "" && s.system.Exists(args[0], args[1]), nil
	case len(args) == 3 && (args[1] == "=" || args[1] == "=="):
		return args[0] == args[2], nil
	case len(args) == 3 && args[1] == "!=":
		return args[0] != args[2], nil
	}
	for _, operator := range []string{"-o", "-a"} { // the one that binds less comes first
		at := slices.Index(args, operator)
		if at < 1 || at == len(args)-1 {
			continue
		}
		first, err := s.test(append([]string{"test"}, args[:at]...))
		if err != nil {
			return false, err
		}
		second, err := s.test(append([]string{"test"}, args[at+1:]...))
		return operator == "-o" && (first || second) || first && second, err
	}
	return false, ErrUnknown
}
