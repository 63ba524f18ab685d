package plan

// FollowInBase is a function of a POSIX shell for engines and Dockerfiles that have the base of an image mounted at /base: at PATH prints
// where the path leads, below /base.
const FollowInBase = `# Where a path leads in the base: links are followed, and none leads out of it.
at() {
  rest=$1/ found= links=0
  while [ -n "$rest" ]; do
    part=${rest%%/*} rest=${rest#*/}
    case $part in
      ''|.) ;;
      ..) found=${found%/*} ;;
      *)
        if [ -L "/base$found/$part" ] && [ $links -lt 40 ]; then
          links=$((links+1)) link=$(readlink "/base$found/$part")
          case $link in /*) found= ;; esac
          rest=$link/$rest
        else
          found=$found/$part
        fi ;;
    esac
  done
  echo "/base$found"
}`
