// Package publish puts an image, or an index of images, into a repository of a registry, and attaches documents to it.
//
// It moves tags last: whoever pulls a tag gets either the whole old image or the whole new one, with all that is attached to
// it, and a push that fails leaves every tag where it was.
package publish
