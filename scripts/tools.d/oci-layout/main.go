// Command oci-layout puts static programs into an OCI image, one platform each,
// without a container engine:
//
//	oci-layout -name NAME -tag TAG -version V -revision COMMIT -created SECONDS DIR ARCH=PROGRAM...
//
// DIR gets an OCI image layout with one image index. It is equal to what
// docker/Dockerfile builds: the program, the CA roots of Mozilla, nothing else.
// The same arguments give the same bytes.
//
// Docker engines before release 25, and those of Debian 12, do not read such a
// layout: DIR also gets a manifest.json, in which "docker load" finds each
// platform as NAME:TAG-ARCH.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// platforms by the names that our releases have.
var platforms = map[string]v1.Platform{
	"amd64": {OS: "linux", Architecture: "amd64"},
	"arm64": {OS: "linux", Architecture: "arm64"},
	"armv7": {OS: "linux", Architecture: "arm", Variant: "v7"},
}

// release is what the labels say.
type release struct {
	name, tag, version, revision string
	created                      time.Time
}

func main() {
	var r release
	seconds := flag.Int64("created", 0, "time of the commit, in seconds since 1970")
	flag.StringVar(&r.name, "name", "", "name of the image, with its registry")
	flag.StringVar(&r.tag, "tag", "", "tag of the image")
	flag.StringVar(&r.version, "version", "", "what the program says its release is")
	flag.StringVar(&r.revision, "revision", "", "commit")
	flag.Parse()
	r.created = time.Unix(*seconds, 0).UTC()
	if err := write(r, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "oci-layout:", err)
		os.Exit(1)
	}
}

func write(r release, args []string) error {
	if r.name == "" || r.tag == "" || len(args) < 2 {
		return errors.New("usage: oci-layout -name NAME -tag TAG DIR ARCH=PROGRAM")
	}
	dir := args[0]
	roots, err := rootsLayer(r.created)
	if err != nil {
		return fmt.Errorf("cannot make the layer of CA roots: %w", err)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var saved []savedImage
	for _, arg := range args[1:] {
		arch, program, _ := strings.Cut(arg, "=")
		platform, known := platforms[arch]
		if !known {
			return fmt.Errorf("no platform is called %q here", arch)
		}
		image, err := newImage(r, platform, roots, program)
		if err != nil {
			return fmt.Errorf("cannot make the image for %s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &platform},
		})
		entry, err := saveEntry(image, r.name+":"+r.tag+"-"+arch)
		if err != nil {
			return err
		}
		saved = append(saved, entry)
	}
	index = mutate.Annotations(index, labels(r)).(v1.ImageIndex)

	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	// The first name is containerd's, the second the layout's own.
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          r.name + ":" + r.tag,
		"org.opencontainers.image.ref.name": r.tag,
	})); err != nil {
		return err
	}
	list, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "manifest.json"), list, 0o644)
}

// labels are the same for all platforms. There is no base image, so none is named.
func labels(r release) map[string]string {
	source := "https://github.com/reflectt/bootstrap"
	return map[string]string{
		"org.opencontainers.image.created":       r.created.Format(time.RFC3339),
		"org.opencontainers.image.description":   "Pairs an OpenClaw gateway's operators before it starts, and proves it",
		"org.opencontainers.image.documentation": source + "/blob/main/docs/install.md",
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.revision":      r.revision,
		"org.opencontainers.image.source":        source,
		"org.opencontainers.image.title":         "bootstrap",
		"org.opencontainers.image.url":           source,
		"org.opencontainers.image.version":       r.version,
	}
}

func newImage(r release, platform v1.Platform, roots v1.Layer, program string) (v1.Image, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	layer, err := newLayer(r.created, file{"bootstrap", 0o755, content})
	if err != nil {
		return nil, err
	}
	created := v1.Time{Time: r.created}
	image, err := mutate.ConfigFile(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), &v1.ConfigFile{
		OS:           platform.OS,
		Architecture: platform.Architecture,
		Variant:      platform.Variant,
		Created:      created,
		Config: v1.Config{
			// As in docker/Dockerfile, which says why it is a number.
			User:       "65532:65532",
			Entrypoint: []string{"/bootstrap"},
			Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			WorkingDir: "/",
			Labels:     labels(r),
		},
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	image, err = mutate.Append(image,
		mutate.Addendum{Layer: roots, MediaType: types.OCILayer, History: v1.History{Created: created, CreatedBy: "CA roots of Mozilla"}},
		mutate.Addendum{Layer: layer, MediaType: types.OCILayer, History: v1.History{Created: created, CreatedBy: "scripts/build"}},
	)
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(image, labels(r)).(v1.Image), nil
}

// rootsLayer has Mozilla's roots, of the release that go.mod names. Those that
// Mozilla distrusts from some day on are left out: the file cannot say the day.
func rootsLayer(created time.Time) (v1.Layer, error) {
	var roots bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	return newLayer(created,
		file{"etc/", 0o755, nil}, file{"etc/ssl/", 0o755, nil}, file{"etc/ssl/certs/", 0o755, nil},
		file{"etc/ssl/certs/ca-certificates.crt", 0o644, roots.Bytes()})
}

// file is a directory where its name ends with a slash.
type file struct {
	name    string
	mode    int64
	content []byte
}

func newLayer(created time.Time, files ...file) (v1.Layer, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: created, Format: tar.FormatUSTAR}
		if strings.HasSuffix(f.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithMediaType(types.OCILayer))
}

// savedImage is an image in the list that "docker save" writes.
type savedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func saveEntry(image v1.Image, name string) (savedImage, error) {
	config, err := image.ConfigName()
	if err != nil {
		return savedImage{}, err
	}
	entry := savedImage{Config: blob(config), RepoTags: []string{name}}
	layers, err := image.Layers()
	if err != nil {
		return savedImage{}, err
	}
	for _, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			return savedImage{}, err
		}
		entry.Layers = append(entry.Layers, blob(digest))
	}
	return entry, nil
}

func blob(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }
