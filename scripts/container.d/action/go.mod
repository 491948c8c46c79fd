// The runner of action.yml's steps. A module of its own: none of it concerns the program.
module github.com/reflectt/bootstrap/scripts/container.d/action

go 1.26.0

require go.yaml.in/yaml/v3 v3.0.6
