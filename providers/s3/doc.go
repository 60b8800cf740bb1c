// Package s3 reads models from Amazon S3 and from every server that speaks its
// protocol.
//
// # Idea
//
// A bucket is a model: the first element of a name is a bucket, or an alias
// that the configuration gives to one, and everything below it is inside the
// model. Directories are what lies between slashes of keys; they are listed
// when somebody looks, page by page, and never as a whole. A longer name is the
// model rooted at that prefix.
//
// S3 has no revisions of a bucket, so a model has none either: every object is
// held to its own validator.
//
// # Promises
//
// A range is returned only if the answer itself proves that it belongs to the
// pinned object. If-Match is sent, and because some servers ignore it the etag,
// the range and the total of every answer are compared too. Where a bucket keeps
// versions, reads go on from the pinned version after the object was replaced or
// deleted. Stored bytes are served as they are stored: a Content-Encoding is not
// undone.
//
// Where a key and a prefix have one name ("a" and "a/b") the prefix wins. Keys
// that cannot be file names ("a//b", "..", control bytes) are yielded as they
// are for the caller to hide. Markers of empty directories ("dir/" and Hadoop's
// "dir_$folder$") are left out; a directory that only the latter says exists is
// not shown.
//
// "key@version" is the object of that version id, if no key has that name. It
// never changes and is never asked about again.
//
// # Credentials
//
// Keys come from files named in the configuration, or else from wherever the AWS
// tools take them: environment, profiles, web identity, SSO, container, EC2. They
// are looked up at the first request, never at start, and again when the server
// calls them expired. Requests are unsigned only where the configuration says
// anonymous: true; missing credentials never turn into unsigned requests by
// themselves. The SDK reads the process's own environment.
//
// No redirect is followed. A server that names another region for a bucket is
// believed, and asked there.
//
// # Terms
//
// pin: what a validator holds of one object (etag, time, version id). account:
// loaded credentials and endpoint, replaced as a whole when they expire. marker:
// an object that only stands for a directory.
package s3
