"""The commonest function words of Portuguese and of the languages it is met with on the web.

Written for this project, accents folded away (pages are read as bytes of unknown encoding). A
word that several languages share counts for each of them, so that neighbours (Galician, Spanish)
are told apart by what they do not share. Eight lists at most: they are counted in the eight bytes
of one number, which is why neighbours among the others stand together.
"""

from __future__ import annotations

FUNCTION_WORDS = {
    "pt": (
        "a o as os um uma uns umas e ou mas nem que se como quando onde porque pois para por "
        "com sem sob sobre entre ate desde de do da dos das em no na nos nas num numa ao aos "
        "pelo pela pelos pelas dum duma neste nesta nesse nessa deste desta desse dessa dele "
        "dela isto isso aquilo este esta estes estas esse essa esses essas aquele aquela eu "
        "tu ele ela eles elas voce voces me te lhe lhes seu sua seus suas meu minha nosso "
        "nossa nao sim ja mais menos muito muita muitos tambem ainda so depois antes agora "
        "aqui ali bem mesmo todo toda todos todas outro outra outros outras qual quais quem "
        "cada ser foi era sao estao ter tem tinha ha vai pode podem deve fazer sido seja"
    ),
    "gl": (
        "a o as os un unha uns unhas e ou mais nin que se como cando onde porque pois para "
        "por con sen sobre entre ata desde de do da dos das en no na nos nas nun nunha ao aos "
        "polo pola polos polas dun dunha neste nesta este esta estes estas ese esa eses esas "
        "el ela eles elas me lle lles seu sua seus suas meu non si xa moi moito moita tamen "
        "ainda so despois antes agora aqui ben mesmo todo toda todos todas outro outra outros "
        "outras cal quen cada ser foi era son estan ter ten tina hai vai pode poden debe "
        "facer sido sexa coa cos coas"
    ),
    "es, ca": (
        "el la los las un una unos unas lo y o pero ni que se como cuando donde porque pues "
        "para por con sin sobre entre hasta desde de del en al a este esta estos estas ese "
        "esa esos esas eso esto aquel yo tu usted ellos ellas me te le les su sus mi mis "
        "nuestro nuestra no si ya mas menos muy mucho mucha tambien aun solo despues antes "
        "ahora aqui bien mismo todo toda todos todas otro otra otros otras cual quien cada "
        "ser fue era son estan tener tiene hay va puede pueden debe hacer sido sea han ha els "
        "uns unes als dels i es com quan on perque per amb sense fins des aquest aquesta "
        "aquests aquestes aquell aixo jo ells elles em et li seu seva seus meu meva nostre ja "
        "mes menys molt molta tambe encara nomes despres abans ara be mateix tot tota tots "
        "totes altre altra altres qual qui tenir hi pot poden estat sigui d l s"
    ),
    "en": (
        "the a an and or but if of to in on at by for with from as is are was were be been "
        "has have had do does did not no it its this that these those there their they he she "
        "his her him we you your our us i my me which who whom what when where how why can "
        "could will would should may might must about into over after before between through "
        "than then so such also only other more most some any all each both"
    ),
    "fr": (
        "le la les un une des du de d l et ou mais ni que qu se s comme quand dont car pour "
        "par avec sans sous sur entre depuis en au aux a ce cet cette ces je tu il elle nous "
        "vous ils elles on me te lui leur leurs son sa ses mon ma mes notre nos votre vos ne "
        "n pas oui deja plus moins tres aussi encore apres avant ici bien meme tout toute "
        "tous toutes autre autres quel quelle qui chaque etre est sont etait ont fait peut "
        "doit c j y"
    ),
    "it, ro": (
        "il lo la i gli le un uno una e o ma ne che se come quando dove perche per con senza "
        "sotto sopra tra fra di del dello della dei degli delle da dal dalla dai in nel nella "
        "nei nelle a al alla ai agli alle su sul sulla questo questa questi queste quello "
        "quella io tu lui lei noi voi loro mi ti ci vi si suo sua suoi sue non gia piu meno "
        "molto anche ancora solo dopo prima ora qui bene stesso tutto tutta tutti tutte altro "
        "altra altri altre quale chi ogni essere sono era hanno ha puo deve fare stato sia l "
        "d dell all nell sau dar nici ca cum cand unde pentru cu fara sub peste intre pana de "
        "din pe unei unui unor ale acest acesta aceasta aceste acel cel cea cei cele eu el ea "
        "ei ele imi te ii lor sa sai nu mai foarte mult tot toata toti toate alt alta altul "
        "care cine fi este sunt are au avea poate trebuie fost prin dupa inainte acum aici "
        "bine doar daca va fie"
    ),
    "de, nl": (
        "der die das den dem des ein eine einen einem einer eines und oder aber nicht dass "
        "wenn als wie wo weil denn fur von vom mit ohne unter uber zwischen bis seit in im an "
        "am auf aus bei nach zu zum zur ich du er sie es wir ihr mich mir dich ihn ihm ihnen "
        "sein seine ihre mein unser kein keine ja schon mehr weniger sehr auch noch nur vor "
        "jetzt hier gut selbst alle alles andere welche wer jeder ist sind war waren wird "
        "werden hat haben kann konnen muss durch um so man sich de het een en of maar niet "
        "dat waar omdat want voor van met zonder onder over tussen tot sinds op aan uit bij "
        "naar te om door ik jij je u hij zij ze wij we jullie mij hem haar zijn mijn ons onze "
        "hun deze dit geen al meer minder zeer ook nog alleen na nu goed zelf wat welke elk "
        "is was wordt worden heeft hebben had kan kunnen moet zal dan zo"
    ),
}
"""By language; Portuguese is the first."""
SURE_WORDS = (
    "os um uma uns umas em num numa nas do da dos das dum duma ao aos pelo pela pelos "
    "pelas com sem nem ate nao sao foi ser seu sua seus suas meu minha mas mais muito "
    "muita tambem ja sobre quem isso isto este esta esse essa ele ela eles elas voce pode "
    "tem ha ainda quando qual outra outro outros foram neste nesta nesse deste desta "
    "desse"
)
"""Words of Portuguese (and Galician) that are rare in the other languages above, and in those that
have no list."""
LANGUAGES = tuple(FUNCTION_WORDS)
