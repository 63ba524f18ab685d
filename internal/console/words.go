package console

import (
	"strconv"
	"strings"
)

// Words writes the words of a command so that each can be told from the others: one with a blank or a quotation mark is quoted.
func Words(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if word == "" || strings.ContainsAny(word, " \t\n\"'") {
			quoted[i] = strconv.Quote(word)
		}
	}
	return strings.Join(quoted, " ")
}
